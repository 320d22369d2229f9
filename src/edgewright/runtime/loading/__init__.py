"""Loading: from files that changed to a version that answers, without a pause and without losing the last good one.

``places`` says what lies where; ``sources`` reads it; ``preparing`` does the dangerous and slow part in a child
process; ``loader`` opens what the child prepared, puts it before the requests and watches its first answers.
"""
