"""The cases: each file is collected by pytest with the plugin."""
