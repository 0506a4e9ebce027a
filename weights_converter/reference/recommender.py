"""The recommender in PyTorch: a BERT encoder, a GRU decoder and three ways to score, the reference for the C++ one.

In: token ids of texts, histories as lists of (text or item index, rating or None). Out: one logit a candidate.
Formulas: "Scoring" in docs/model-file.md; the GRU is torch.nn.GRU (Cho et al. 2014 in cuDNN's form, gates r, z, n).
"""
import torch
from torch import nn

from .bert import TextEncoder

SCORINGS = ("text_gru", "next_event", "dot_product")


class Decoder(nn.Module):
    """`gru` and, where a state is scored by itself, `out`."""

    def __init__(self, input_size, hidden_size, layers=1, bias=True, with_out=True, out_bias=True):
        super().__init__()
        self.gru = nn.GRU(input_size, hidden_size, layers, bias=bias, batch_first=True)
        if with_out:
            self.out = nn.Linear(hidden_size, 1, bias=out_bias)


class RatingTable(nn.Module):
    """Mode `embedding`: the row of the nearest rating (the lower one at a tie) is added to an event's vector."""

    def __init__(self, values, size):
        super().__init__()
        self.values = [float(v) for v in values]
        self.weight = nn.Parameter(torch.zeros(len(self.values), size))

    def nearest(self, rating):
        return min(range(len(self.values)), key=lambda i: (abs(self.values[i] - rating), i))


class RecommendationModel(nn.Module):
    """encoder.bert, decoder.gru, decoder.out; with the optional parts user_proj, rating, item_bias.

    Its state dict is the founding model's when scoring is "text_gru" and nothing optional is asked for.
    config: BERT's, as config.json holds it.  gru_hidden: None for the encoder's size.
    rating_values: the ratings of mode "embedding"; rating_scale: for mode "weight" (vector * rating * scale).
    """

    def __init__(self, config, scoring="text_gru", gru_hidden=None, gru_layers=1, gru_bias=True, pooling=("mean",),
                 normalize=False, dense=(), user_proj=False, user_proj_bias=True, rating_values=None, rating_scale=None,
                 out_bias=True):
        super().__init__()
        if scoring not in SCORINGS:
            raise ValueError(f"scoring is one of {', '.join(SCORINGS)}, not {scoring!r}")
        self.scoring, self.rating_scale = scoring, rating_scale
        self.encoder = TextEncoder(config, pooling, normalize, dense)
        token_size = self.encoder.bert.config.hidden_size
        dim = dense[-1][0].shape[0] if dense else token_size * len(self.encoder.pooling)
        into = token_size if scoring == "text_gru" else dim
        hidden = gru_hidden or into
        self.decoder = Decoder(into, hidden, gru_layers, gru_bias, scoring != "dot_product", out_bias)
        if user_proj:
            self.user_proj = nn.Linear(hidden, dim, bias=user_proj_bias)
        if rating_values is not None:
            self.rating = RatingTable(rating_values, into)

    # ---- one history, as the library's API has it

    def new_state(self):
        """The state before any event: zeros [layers, hidden]."""
        gru = self.decoder.gru
        return next(gru.parameters()).new_zeros(gru.num_layers, gru.hidden_size)

    def rate(self, x, rating):
        """x [steps, input_size] of one event, with its rating put in. Models in text_gru have no ratings."""
        if rating is None:
            return x
        if hasattr(self, "rating"):
            return x + self.rating.weight[self.rating.nearest(rating)]
        if self.rating_scale is not None:
            return x * (rating * self.rating_scale)
        return x

    def event_steps(self, ids, rating=None):
        """Token ids [length] of an event's text -> what the GRU reads, [steps, input_size]."""
        steps = self.encoder.bert(ids[None])[0] if self.scoring == "text_gru" else self.encoder(ids[None])
        return self.rate(steps, rating)

    def observe(self, state, ids, rating=None):
        """The state [layers, hidden] after one more event."""
        return self.decoder.gru(self.event_steps(ids, rating)[None], state[:, None].contiguous())[1][:, 0]

    def user_vector(self, state):
        """dot_product: the vector that meets the items' vectors."""
        top = state[-1]
        return self.user_proj(top) if hasattr(self, "user_proj") else top

    def score(self, state, candidates, item_bias=None):
        """Logits [n] of candidates (a list of token id tensors) after the history folded into state."""
        if self.scoring == "dot_product":
            vectors = torch.cat([self.encoder(ids[None]) for ids in candidates])
            scores = vectors @ self.user_vector(state)
            return scores if item_bias is None else scores + item_bias
        after = torch.stack([self.observe(state, ids)[-1] for ids in candidates])
        return self.decoder.out(after)[:, 0]

    def token_scores(self, ids, state=None):
        """text_gru: the score after each of a text's tokens, [length]; the last one is the item's score."""
        state = self.new_state() if state is None else state
        states, _ = self.decoder.gru(self.event_steps(ids)[None], state[:, None].contiguous())
        return self.decoder.out(states[0])[:, 0]

    def rank(self, history, candidates, item_bias=None):
        """history: (token ids, rating or None) in order; -> logits [n] of the candidates."""
        state = self.new_state()
        for ids, rating in history:
            state = self.observe(state, ids, rating)
        return self.score(state, candidates, item_bias)

    @staticmethod
    def probabilities(logits):
        """Softmax over the candidates."""
        return torch.softmax(logits, -1)


class ItemRecommender(nn.Module):
    """A recommender without text: learned item embeddings, GRU, a Linear over all items (GRU4Rec, Hidasi et al. 2016).

    Names as that form's checkpoints have them: item_embeddings.weight, gru.*, s_fc.{weight,bias}.
    """

    def __init__(self, items, size, hidden, layers=1, padding_rows=0):
        super().__init__()
        self.item_embeddings = nn.Embedding(items + padding_rows, size)
        self.gru = nn.GRU(size, hidden, layers, batch_first=True)
        self.s_fc = nn.Linear(hidden, items)

    def forward(self, history):
        """Item indices [batch, events] -> logits of every item [batch, items]."""
        return self.s_fc(self.gru(self.item_embeddings(history))[1][-1])
