"""A GRU over a text encoder: it reads the token states of BERT, or the vectors of texts by BERT or word vectors.

In: what the encoder's kind reads, a GRU and its head in the weights, ranklet.json. Out: the encoder's keys and tensors,
`ranklet.recommender.scoring`, `ranklet.gru.*`, `ranklet.out.*`, `ranklet.user_proj.*`, `ranklet.rating.*`.
The one kind that is made of others: bert and word_vectors.
"""
import numpy as np

from ..classifier import ACTIVATION
from ..errors import ConversionError
from ..options import SCORING, refuse_others
from ..recurrent import LOOKED_FOR, GruReference, add_gru, add_linear, add_rating, find, has_gru, selftest_ratings
from ..selftest import SelfTest
from ..settings import SCORINGS
from . import bert, word_vectors

MODELS = {}
OF_BERT = (SCORING, *(option for option in bert.OPTIONS if option not in (SCORING, ACTIVATION)))
OF_WORDS = (SCORING, *word_vectors.OPTIONS)
OPTIONS = tuple(dict.fromkeys((*OF_BERT, *OF_WORDS)))
HISTORY = [1, 3, 0, 4, 1]  # the self-test's events, of its texts


def matches(source):
    return has_gru(source.state) and (_is_over_bert(source) or source.settings.encoder is not None)


def looked_for(source):
    if source.settings.encoder is not None:
        raise ConversionError(f"{source.settings.path}: encoder is for a GRU without a text encoder of its own; "
                              f"{source.weights} has no GRU")
    return LOOKED_FOR


def refusal(source, option):
    return (bert if _is_over_bert(source) else word_vectors).refusal(source, option)


def write(model, source, options):
    """-> (lines of the summary, SelfTest)"""
    over_bert = _is_over_bert(source)
    refuse_others(options, OPTIONS, OF_BERT if over_bert else OF_WORDS, lambda option: refusal(source, option))
    return (_write_over_bert if over_bert else _write_over_words)(model, source, options)


def _is_over_bert(source):
    return bert.find_prefix(source.state) is not None


def _write_over_bert(model, source, options):
    scoring = _scoring(source, options)
    encoder = bert.add_encoder(model, source, options, custom_model=True)
    size, lines = bert.add_vector(model, source, options, encoder, "text_gru" if scoring == "text_gru" else None)
    lines.append(_add_decoder(model, source, scoring, encoder.dim, size))
    _, texts, ids = bert.selftest_ids(model, encoder.tokenizer)

    def vectors_and_events(reference):
        states = reference.token_states(ids)
        return [reference.vector(each) for each in states], reference.text_events(states)

    return lines, _selftest(model, Reference, texts, ids, vectors_and_events)


def _write_over_words(model, source, options):
    settings = source.settings
    if not word_vectors.is_word_vectors(settings.encoder):
        raise ConversionError(f"{settings.path}: encoder {settings.encoder}: not word vectors")
    table, size, lines = word_vectors.add_word_vectors(model, source, options, settings.encoder, settings)
    scoring = _scoring(source, options)
    if scoring == "text_gru":
        raise ConversionError(f"{source.state.path}: scoring text_gru needs BERT's token states; word vectors have "
                              "dot_product and next_event")
    lines.append(_add_decoder(model, source, scoring, size, size))
    texts, ids = word_vectors.selftest_texts(model, table)

    def vectors_and_events(reference):
        vectors = [reference.vector(each) for each in ids]
        return vectors, [vector[None] for vector in vectors]

    return lines, _selftest(model, ReferenceOverWords, texts, ids, vectors_and_events)


def _scoring(source, options):
    state, settings = source.state, source.settings
    if options.scoring and settings.scoring and options.scoring != settings.scoring:
        raise ConversionError(f"{settings.path}: scoring is {settings.scoring}, the command line says {options.scoring}")
    scoring = options.scoring or settings.scoring
    if scoring is None and find(state, ["out.weight"]) and not find(state, ["user_proj.weight"]):
        return "text_gru"  # the founding model, which states nothing
    if scoring is None:
        raise ConversionError(f"{state.path}: how items are scored is not stated; give --scoring {'|'.join(SCORINGS)} or a "
                              "ranklet.json")
    return scoring


def _add_decoder(model, source, scoring, token_dim, vector_dim):
    """GRU and heads, the end of the weights; -> a line of the summary. token_dim: the encoder's, vector_dim: of a text's
    vector."""
    state, settings = source.state, source.settings
    settings.refuse(("padding_row",), "items are texts")
    into, hidden, summary = add_gru(model, state, settings)
    wanted = token_dim if scoring == "text_gru" else vector_dim
    if into != wanted:
        what = "token states" if scoring == "text_gru" else "a text's vector"
        raise ConversionError(f"{state.path}: the GRU reads {into} values, {scoring} feeds it {what} of {wanted}")
    model.key("ranklet.recommender.scoring", scoring, "string")
    if scoring == "dot_product":
        name = find(state, ["user_proj.weight"])
        if name:
            add_linear(model, state, "ranklet.user_proj", name, [vector_dim, hidden])
        elif hidden != vector_dim:
            raise ConversionError(f"{state.path}: without user_proj.weight the GRU's hidden size {hidden} must be the "
                                  f"vector's, {vector_dim}")
    else:
        name = find(state, ["out.weight"])
        if name is None:
            raise ConversionError(f"{state.path}: tensor out.weight is missing (with any prefix), {scoring} scores with it")
        add_linear(model, state, "ranklet.out", name, [1, hidden])
    mode = settings.rating.mode
    if scoring == "text_gru" and mode != "none":
        raise ConversionError(f"{settings.path}: rating.mode {mode} has no meaning with scoring text_gru, which reads token "
                              "states; use next_event or dot_product, or rating.mode none")
    add_rating(model, state, settings, into)
    state.refuse_rest(source.note)
    return f"  decoder       {summary}, scoring {scoring}, ratings {mode}"


# ---- the self-test and its reference


def _selftest(model, reference, texts, ids, vectors_and_events):
    """vectors_and_events(reference): of each text its vector and what the GRU reads of it."""
    ratings = selftest_ratings(model.metadata(), len(HISTORY))

    def run(reference):
        vectors, events = vectors_and_events(reference)
        return {"vectors": np.stack(vectors), "scores": reference.scores(events, HISTORY, ratings)}

    test = SelfTest(reference, run)
    test.texts(texts, ids)
    test.history(HISTORY, ratings, len(ids))
    return test


class _TextScores(GruReference):
    def scores(self, events, history, ratings=None):
        """Logits [candidates] after a history.

        events: of each candidate what the GRU reads of it, [steps, input]; history: indices into it; of dot_product the
        single step is the item's vector itself."""
        state = self.after(events, history, ratings)
        if self.metadata["ranklet.recommender.scoring"] != "dot_product":
            return np.array([self.linear(self.gru(steps, state)[-1], "ranklet.out")[0] for steps in events])
        user = self.user_vector(state)
        return np.array([steps[0] @ user for steps in events])


class Reference(bert.Reference, _TextScores):
    def text_events(self, states):
        """What the GRU reads of texts whose token states these are: all of them (text_gru), else the vector."""
        if self.metadata["ranklet.recommender.scoring"] == "text_gru":
            return states
        return [self.vector(each)[None] for each in states]


class ReferenceOverWords(word_vectors.Reference, _TextScores):
    pass
