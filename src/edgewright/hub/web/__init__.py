"""What every slice's routes stand on: problems, the shell around the app, pages, bodies, rates, requests that come
twice.

Nothing here knows accounts: who calls is ``accounts.access``'s.
"""
