"""Diagnosis: why a model is slow, and why requests are refused, told by its own statistics.

``readings`` says what happened lately; ``causes`` names the largest cause, by pure rules; ``machine`` reads the load;
``whys`` brings them together for the models of a server.
"""
