"""What the bot has done since the start, for the metrics."""

from collections import Counter

from kefu.bot.messages import Answer, Outcome


class Figures:
    """Read as plain numbers; every count only grows."""

    def __init__(self) -> None:
        self.answers: Counter[Outcome] = Counter()
        self.cut_count = 0
        self.retry_count = 0

    def note(self, answer: Answer) -> None:
        self.answers[answer.outcome] += 1
        self.cut_count += answer.is_cut

    def note_retry(self) -> None:
        self.retry_count += 1
