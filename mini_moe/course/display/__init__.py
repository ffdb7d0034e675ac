"""What a learner sees: cards, quizzes, tables, figures, explorers and verdicts, in one style. Imports no other room."""
