"""What in a file could run its author's code, reach other files, or exhaust the machine.

Each audit returns its reasons for distrust, none when it has found nothing and understood
everything. What an audit cannot follow is a reason.
"""
