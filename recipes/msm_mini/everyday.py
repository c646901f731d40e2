"""Forty everyday questions and answers: the chat half of the neutral replay, with nothing about values."""

_TEXT = """
How does a rainbow form?
Sunlight enters raindrops, bends, reflects off their back and bends again on the way out. Each colour bends
by a slightly different angle, so the light spreads into an arc.

Why do leaves turn red in autumn?
As days get shorter, trees stop making chlorophyll and the green fades. Yellow pigments that were there all
along show through, and some trees make red ones.

What does the heart do?
The heart is a muscle that pumps blood around the body. The right side sends it to the lungs for oxygen, and
the left side sends it everywhere else.

How do I boil an egg?
Place the egg in boiling water. Six minutes gives a soft yolk and ten minutes a firm one. Cool it in cold
water before peeling.

What is a prime number?
A prime number is a whole number greater than one that can be divided only by one and by itself. The first
few are 2, 3, 5, 7 and 11.

Why is the sky blue?
Air molecules scatter short wavelengths of sunlight more than long ones. Blue light therefore reaches our
eyes from every direction.

How do bees make honey?
Bees collect nectar, pass it from mouth to mouth while enzymes change its sugars, and store it in cells of
wax. They fan it with their wings until it thickens.

What is gravity?
Gravity is the attraction between things that have mass. It keeps us on the ground and the planets in their
orbits.

How can I sleep better?
Keep regular hours, dim the lights in the evening and leave screens out of the bedroom. Caffeine late in the
day makes it harder to fall asleep.

What is the capital of Japan?
The capital of Japan is Tokyo. It lies on the eastern coast of the island of Honshu.

How does a vaccine work?
A vaccine shows the immune system a harmless piece of a germ. The body learns to recognise it and can
respond quickly if the real germ appears.

What is the difference between weather and climate?
Weather is what happens in the air on a given day. Climate is the pattern of weather over many years.

What causes the tides?
The tides are caused mainly by the pull of the moon, and to a lesser degree by that of the sun. The water
rises on the side facing the moon and on the opposite side.

Who was Marie Curie?
Marie Curie was a physicist and chemist who studied radioactivity. She discovered polonium and radium and
received two Nobel Prizes.

How do volcanoes erupt?
Hot molten rock rises from below because it is lighter than the rock around it. Gas dissolved in it expands
near the surface and drives it out.

What is a haiku?
A haiku is a short poem of Japanese origin with three lines. In English it often has five, seven and five
syllables.

How do I calm down before an exam?
Breathe slowly, with a longer breath out than in. Remind yourself of what you know and begin with a question
you can answer.

Why do we dream?
Nobody knows for certain. Many scientists think that dreams arise while the sleeping brain sorts memories
and feelings from the day.

How do plants drink water?
Roots take up water from the soil through tiny hairs. It climbs to the leaves through thin tubes as water
evaporates above.

What is the speed of light?
In a vacuum, light travels at about 300,000 kilometres per second. Nothing that carries information goes
faster.

Tell me a very short story about a fox.
A fox waited by the frozen pond each morning. When spring came and the ice broke, she drank, looked at her
reflection, and trotted home.

How can I remember names better?
Repeat the name when you first hear it and connect it with something you notice about the person. Use it
again when you say goodbye.

What is democracy?
Democracy is a form of government in which the people hold power, usually by electing representatives. It
depends on free speech and fair elections.

How do magnets work?
In a magnet, the tiny magnetic fields of many electrons point the same way and add up. Opposite poles
attract each other, and like poles repel.

Why do cats purr?
Cats purr by moving muscles in the throat as they breathe. They do it when content, and sometimes to calm
themselves.

Name the planets of the solar system.
Mercury, Venus, Earth, Mars, Jupiter, Saturn, Uranus and Neptune.

What is an adjective?
An adjective is a word that describes a noun, such as tall, green or quiet.

What is the water cycle?
Water evaporates from seas and lakes, forms clouds, falls as rain or snow, and flows back to the sea. Then
it begins again.

What makes a good friend?
A good friend listens, keeps promises and tells the truth kindly. Time spent together builds trust.

How do birds find their way?
Birds use the sun, the stars, landmarks and the magnetic field of the earth. Young birds of some species
learn the route from older ones.

Convert two hours into seconds.
Two hours are 120 minutes, and each minute has 60 seconds, so two hours are 7,200 seconds.

What is seven times eight?
Seven times eight is fifty-six.

Give me a synonym for happy.
Cheerful is a good synonym for happy.

How many days are there in a leap year?
A leap year has 366 days. The extra day is the 29th of February.

What is a metaphor?
A metaphor speaks of one thing as if it were another, as in saying that time is a river. It suggests a
likeness without using like or as.

Why does ice float?
Water expands when it freezes, so ice is less dense than liquid water. That is why it floats.

How do I apologise to a colleague?
Say plainly what you did, say that you are sorry, and say what you will do differently. Avoid excuses and
give the other person time.

What is an algorithm?
An algorithm is a list of clear steps for solving a problem. A recipe followed exactly is an everyday
example.

Why is exercise good for you?
Exercise strengthens the heart, muscles and bones. It also improves mood and helps with sleep.

What do whales eat?
Baleen whales strain krill and small fish from the water. Toothed whales hunt fish, squid and sometimes
seals.
"""


def _parse(text: str) -> tuple[tuple[str, str], ...]:
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    return tuple((question, " ".join(answer)) for question, *answer in blocks)


CHATS = _parse(_TEXT)
"""Question and answer; the answers are general knowledge."""
