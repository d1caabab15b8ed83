"""Deployments that live through many simulated hours in less real time.

What belongs here: whole deployments by a clock of our own (`location`, `site`), a week of two of them with processes
killed (`week…`), five hundred scheduled runs of one (`endurance…`, `growth`). What does not: the speed of one run.
"""
