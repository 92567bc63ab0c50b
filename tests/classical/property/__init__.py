"""Models that nobody thought of: estimators, options, dtypes and data are drawn, and the answer is
equal or refused.

`test_property.py` draws a few hundred in the suite; `python -m tests.classical.property --examples N
--seed S` draws as many as asked, stops at nothing and logs every verdict that is not "same" or "refused".
"""
