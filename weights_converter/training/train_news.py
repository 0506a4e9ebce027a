"""Trains the example's LSTUR on made news: python3 -m weights_converter.training.train_news OUT_FOLDER [--steps N]

In: news_language.py's items and readers. Out: OUT_FOLDER with model.safetensors, ranklet.json and words.txt, ready for
`python3 -m weights_converter OUT_FOLDER news.gguf`. Each step predicts the next thing read among all items (softmax);
readers' embeddings are left out for half of them, as An et al. 2019 do, so that unknown readers have a meaning. At the
end the accuracy on readers held out is printed: how often the next item's section is that of the best-scored item.
A minute or two on one core.
"""
import argparse
import json
import random
import struct
from pathlib import Path

import torch
import torch.nn.functional as F

from ..reference.news import NewsRecommender
from .news_language import SECTIONS, all_titles, readers, vocabulary

SIZE = dict(model="lstur", word_size=16, padding_id=0, views=dict(
    title=dict(kind="text", max_length=16, padding=[[1, 1]], filters=20, widths=[3], attention_size=12),
    category=dict(kind="category", values=list(SECTIONS), size=4),
    subcategory=dict(kind="category", values=[kind for kinds in SECTIONS.values() for kind in kinds], size=4)))
LENGTH = 8  # events of a reader; the last is to be told from those before


def save(folder, module, config, words):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "words.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    view = {"title": dict(kind="text", max_length=16, padding="same")}
    view.update({name: dict(kind="category", values=config["views"][name]["values"]) for name in ("category", "subcategory")})
    (folder / "ranklet.json").write_text(json.dumps(dict(
        model="lstur", name="made news, LSTUR", words="words.txt", lowercase=True, unknown="skip", views=view,
        user=dict(mode="ini", users=config["user"]["users"])), indent=2) + "\n", encoding="utf-8")
    header, data = {}, b""
    for name, tensor in module.state_dict().items():
        raw = tensor.contiguous().numpy().astype("<f4").tobytes()
        header[name] = dict(dtype="F32", shape=list(tensor.shape), data_offsets=[len(data), len(data) + len(raw)])
        data += raw
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", metavar="OUT_FOLDER", type=Path)
    parser.add_argument("--steps", type=int, default=150)
    given = parser.parse_args()
    torch.manual_seed(0)
    draw = random.Random(0)
    titles, words = all_titles(), vocabulary()
    known = readers(titles, 16, 60)
    config = {**SIZE, "user": dict(mode="ini", users=[name for name, _ in known], user_size=28)}
    module = NewsRecommender(config, len(words))
    items = [dict(title=[words.index(word) for word in title.split()], category=category, subcategory=kind)
             for title, category, kind in titles]
    optimizer = torch.optim.Adam(module.parameters(), 5e-3)
    fresh = readers(titles, 4000, LENGTH, seed=3)
    for step in range(given.steps):
        vectors = torch.stack([module.item(views) for views in items])
        loss = 0
        for _ in range(24):
            if draw.random() < 0.5:  # a known reader's stretch of reading
                name, read = known[draw.randrange(len(known))]
                start = draw.randrange(len(read) - LENGTH)
                read = read[start:start + LENGTH]
            else:
                name, read = None, fresh[draw.randrange(len(fresh))][1]
            cut = draw.randrange(0, LENGTH)
            user = module.user(vectors[read[:cut]], name)
            loss = loss + F.cross_entropy((vectors @ user)[None], torch.tensor([read[cut]]))
        optimizer.zero_grad()
        (loss / 24).backward()
        optimizer.step()
        if step % 25 == 0 or step == given.steps - 1:
            print(f"step {step}: loss {float(loss) / 24:.3f}", flush=True)
    with torch.no_grad():
        vectors = torch.stack([module.item(views) for views in items])
        held_out, right = readers(titles, 400, LENGTH, seed=9), 0
        for _, read in held_out:
            best = int((vectors @ module.user(vectors[read[:-1]])).argmax())
            right += titles[best][1] == titles[read[-1]][1]
        print(f"the best-scored item's section is that of the next item read: {right / len(held_out):.3f} of {len(held_out)} "
              "(a reader's two sections are equally likely: 0.5 is the most there is; chance is 0.25)")
    save(given.out, module, config, words)


if __name__ == "__main__":
    main()
