"""What single experiments train on, apart from the toolkit, which never imports it. See README.md."""
