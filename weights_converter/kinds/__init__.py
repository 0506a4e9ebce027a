"""The registry: the kinds of checkpoints that are converted, one module each.

A kind is anything, a module here, with

    OPTIONS                     the Options that it takes (options.py); those of several kinds are shared objects
    MODELS                      names that ranklet.json's "model" or --model may give it, each with what such a model is
    matches(source)             whether the Source is of this kind; reads no more of it than it must
    looked_for(source)          what it was looked for by, said where no kind matches; None: nothing to say
    refusal(source, option)     the message where it is given an option of another kind
    write(model, source, options)   its keys and tensors into the Model; -> (lines of the summary, SelfTest)
    Reference                   its forward pass in numpy (numpy_reference.py), which the SelfTest runs

They are asked in this order, and the first that matches is taken: files that are known by their beginning, checkpoints
that ranklet.json names, then what the weights hold, the more particular before the less.
"""
from . import bert, gru, items, news, word_vectors

KINDS = (word_vectors, news, bert, gru, items)
