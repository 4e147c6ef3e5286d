"""The roles: what one process of Chronova does. ``chronova serve ROLE`` runs one of them."""
