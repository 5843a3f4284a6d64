"""Figures: functions that draw on given axes, and one style for all of them."""
