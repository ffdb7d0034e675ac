"""What a learner sees: cards, quizzes, tables, figures, explorers and verdicts. Imports no room but `occasion`."""
