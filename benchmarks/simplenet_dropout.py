"""SimpleNet's dropout stands before batch normalization: what that does to the tested network, here and in PyTorch.

Part of CIFAR-10, Adadelta, batch 128, 12 epochs, with and without dropout, at a small and at a good rate. "Batch
statistics": the network without dropout, normalized by the statistics of the test images instead of the running ones.
Run: `python benchmarks/simplenet_dropout.py` on a GPU (CIFAR-10 in the folder named in `ASCRIBE_DATA`; a CUDA build of PyTorch)
"""

import sys

import numpy as np
from simplenet import GPU, pytorch_model

import ascribe
from ascribe.networks import simplenet

QUICK = "--quick" in sys.argv
WIDTH, EPOCHS, IMAGES = (1 / 16, 1, 300) if QUICK else (1.0, 12, 14000)
BATCH = 32 if QUICK else 128


def ours(data, rate, dropout):
    """Training loss of the first and the last epoch, test accuracy."""
    network = simplenet(width=WIDTH, dropout=dropout)
    settings = {"optimizer": "adadelta", "learning_rate": rate, "epochs": EPOCHS, "batch_size": BATCH, "seeds": 1}
    runs = ascribe.train(network, data, "backpropagation", **settings)
    loss = runs.curves["train_loss"][0]
    return loss[0], loss[-1], runs.test_accuracy[0]


def theirs(data, rate, dropout):
    """The same, and the test accuracy with the batch's statistics."""
    import torch  # noqa: PLC0415

    torch.manual_seed(0)
    device = "cuda" if GPU else "cpu"
    x, u = (
        torch.tensor(np.asarray(part.inputs, np.float32)).permute(0, 3, 1, 2).contiguous().to(device)
        for part in (data.train, data.test)
    )
    y, v = (torch.tensor(np.asarray(part.targets)).long().to(device) for part in (data.train, data.test))
    model = pytorch_model(WIDTH, dropout)
    for layer in model:
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            torch.nn.init.zeros_(layer.bias)
    optimizer, loss = torch.optim.Adadelta(model.parameters(), lr=rate), torch.nn.CrossEntropyLoss()
    means = []
    for _ in range(EPOCHS):
        model.train()
        losses = []
        for rows in torch.randperm(len(x), device=device).split(BATCH):
            optimizer.zero_grad()
            value = loss(model(x[rows]), y[rows])
            value.backward()
            optimizer.step()
            losses.append(value.detach())
        means.append(float(torch.stack(losses).mean()))

    def accuracy():
        with torch.no_grad():
            return float((torch.cat([model(part) for part in u.split(500)]).argmax(1) == v).float().mean())

    model.eval()
    tested = accuracy()
    for layer in model:
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.train()
    return means[0], means[-1], tested, accuracy()


def main():
    data = ascribe.datasets.load("cifar10", seed=0, samples=IMAGES, test_samples=IMAGES // 7)
    print("| rate | dropout | loss, first and last epoch | test accuracy | PyTorch: loss | test | batch statistics |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for rate in (0.01, 0.46):
        for dropout in (0.2, 0.0):
            here, there = ours(data, rate, dropout), theirs(data, rate, dropout)
            losses = [f"{first:.2f}, {last:.2f}" for first, last, *_ in (here, there)]
            cells = (rate, dropout, losses[0], f"{here[2]:.1%}", losses[1], *(f"{share:.1%}" for share in there[2:]))
            print("|", " | ".join(map(str, cells)), "|", flush=True)


if __name__ == "__main__":
    main()
