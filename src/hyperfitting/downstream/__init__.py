"""What models know before and after: benchmarks in two or three forms, and paired statistics.

task_files.py   our benchmarks: their files, columns and prompts, as TOML in tasks/
benchmarks.py   files -> questions, a sample of them by seed
prompts.py      a benchmark in a form -> the config of a task of lm-evaluation-harness
harness.py      the door to lm-evaluation-harness: its tasks, our models that answer them
parser.py       the text of an answer -> which choice it names
answering.py    tasks x items -> answers, kept item by item
overlap_check.py  items that stand in the training blocks
paired.py       two models on the same items: McNemar, intervals, what a sample excludes
calibration.py  confidence against accuracy, and one temperature
tables.py       finished sheets -> the rows of a table
"""
