"""Services: a plain page that a tenant writes for its own people: who is on duty, where the spare parts are."""
