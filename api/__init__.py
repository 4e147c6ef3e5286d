"""The REST services: Falcon resources that turn requests into commands and rows into views."""
