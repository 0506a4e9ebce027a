"""Trains the examples' models on made news: python3 -m examples.training.train_news OUT_FOLDER [--images]

In: news_language.py's items and readers. Out: an LSTUR (examples/14_news.cpp), or with --images a NAML of titles and
pictures joined by a gated sum (examples/15_modalities.cpp): OUT_FOLDER with model.safetensors, ranklet.json and words.txt, ready for
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

from weights_converter.reference.news import NewsRecommender

from .news_language import SECTIONS, all_titles, image_of, readers, vocabulary

SIZE = dict(model="lstur", word_size=16, padding_id=0, views=dict(
    title=dict(kind="text", max_length=16, padding=[[1, 1]], filters=20, widths=[3], attention_size=12),
    category=dict(kind="category", values=list(SECTIONS), size=4),
    subcategory=dict(kind="category", values=[kind for kinds in SECTIONS.values() for kind in kinds], size=4)))
IMAGES = dict(model="naml", word_size=16, padding_id=0, join="gated", join_size=24, views=dict(
    title=SIZE["views"]["title"], image=dict(kind="vector", size=8, learned_missing=True)),
    user=dict(max_events=20, attention_size=12))
LENGTH = 8  # events of a reader; the last is to be told from those before


def save(folder, module, config, words):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "words.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    keep = {"text": dict(kind="text", max_length=16, padding="same"), "vector": dict(kind="vector")}
    view = {name: keep.get(each["kind"]) or dict(kind="category", values=each["values"]) for name, each in config["views"].items()}
    user = {key: value for key, value in config["user"].items() if key in ("mode", "users", "max_events")}
    (folder / "ranklet.json").write_text(json.dumps(dict(
        model=config["model"], name=f"made news, {config['model'].upper()}", words="words.txt", lowercase=True, unknown="skip",
        views=view, user=user, **({"join": config["join"]} if "join" in config else {})), indent=2) + "\n", encoding="utf-8")
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
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--images", action="store_true", help="titles and pictures instead of titles and categories")
    given = parser.parse_args()
    torch.manual_seed(0)
    draw = random.Random(0)
    titles, words = all_titles(), vocabulary()
    known = readers(titles, 16, 60)
    config = IMAGES if given.images else {**SIZE, "user": dict(mode="ini", users=[name for name, _ in known], user_size=28)}
    module = NewsRecommender(config, len(words))

    def drawn(picture=0.7, text=0.7):
        """Each item with its title, its picture, or (one in ten or so) neither, where there are pictures."""
        result = []
        for title, category, kind in titles:
            item = dict(title=[words.index(word) for word in title.split()], category=category, subcategory=kind)
            if given.images:
                item["image"] = torch.tensor(image_of(draw, category)) if draw.random() < picture else None
                item["title"] = item["title"] if draw.random() < text else []
            result.append(item)
        return result

    optimizer = torch.optim.Adam(module.parameters(), 5e-3)
    fresh = readers(titles, 4000, LENGTH, seed=3)
    for step in range(given.steps):
        vectors = torch.stack([module.item(views) for views in drawn()])
        loss = 0
        for _ in range(24):
            if not given.images and draw.random() < 0.5:  # a known reader's stretch of reading
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
        for what, items in (("titles and pictures", drawn(1, 1)), ("pictures alone", drawn(1, 0)), ("titles alone", drawn(0, 1))):
            if not given.images and what != "titles alone":
                continue
            vectors = torch.stack([module.item(views) for views in items])
            held_out, right = readers(titles, 400, LENGTH, seed=9), 0
            for _, read in held_out:
                best = int((vectors @ module.user(vectors[read[:-1]])).argmax())
                right += titles[best][1] == titles[read[-1]][1]
            print(f"{what if given.images else 'titles and categories'}: the best-scored item's section is that of the next item "
                  f"read in {right / len(held_out):.3f} of {len(held_out)} (two sections are equally likely for a reader: about "
                  "0.5 is the most there is; chance is 0.25)")
    save(given.out, module, config, words)


if __name__ == "__main__":
    main()
