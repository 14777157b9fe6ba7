"""The zoo: a queue of trainings, the records of their results, the tables of the records, and the published folders."""
