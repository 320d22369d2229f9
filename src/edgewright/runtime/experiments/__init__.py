"""Experiments: versions of one model on one box. Who answers (``split``), and who is asked as well (``shadow``)."""
