"""HTTP as all services share it: request ids, authentication, bodies, errors."""
