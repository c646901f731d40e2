"""A manifest entry knows its parent, what its adapter goes onto, and the chain of adapters below it."""

from tests.checkpoint_makers import lineage_of, of_adapter, of_folder


def test_parents_and_chains_are_those_of_the_whole_manifest(tmp_path):
    lineage = lineage_of(
        tmp_path,
        base=of_folder(),
        first=of_adapter(),
        second=of_adapter("second", "first", 'parent = "first"'),
        apart=of_folder("apart", 'parent = "second"'),
    )
    entry = lineage.subset(["base", "second"])["second"].entry
    assert entry.parent is not None
    assert entry.parent.name == "first"
    base, adapters = entry.adapter_chain()
    assert (base.name, [adapter.name for adapter in adapters]) == ("base", ["first", "second"])
    apart = lineage["apart"].entry
    assert apart.onto is None
    assert apart.adapter_chain()[0].name == "apart"
    assert base.parent is None
    assert base.folder == tmp_path
