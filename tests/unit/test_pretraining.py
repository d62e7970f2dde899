"""The parts of pre-training: methods, nearest neighbors, encoders, views and the order of images."""

from __future__ import annotations

import argparse
import colorsys
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageEnhance

import rapidseg
from rapidseg.core.encoder_spec import EncoderSpec
from rapidseg.core.errors import ConfigError, ModelFileError
from rapidseg.importing import load_backbone
from rapidseg.models import create_model
from rapidseg.pretraining import (
    Byol,
    Encoder,
    InstanceDiscrimination,
    Supervised,
    knn_scores,
    load_encoder,
    top_k_accuracy,
)
from rapidseg.pretraining.augmentation import (
    ColorDraws,
    change_colors,
    crop_and_resize,
    draw_crops,
    normalize,
    shift_hue,
)
from rapidseg.pretraining.methods import PretrainingBatch
from rapidseg.recipes.pretraining_schema import ViewSection

SMALL = {"stem": "cifar", "width": 0.125}
STILL = {
    "image_size": (16, 16),
    "scale_range": (1.0, 1.0),
    "flip": 0.0,
    "color_jitter": (0.0, 0.0, 0.0, 0.0),
    "color_jitter_probability": 0.0,
    "gray": 0.0,
    "mean": (0.0, 0.0, 0.0),
    "std": (255.0, 255.0, 255.0),
}


def view(**changes):
    return ViewSection(**{**STILL, **changes})


def encoder(network="resnet18", options=SMALL, feature_dim=None):
    torch.manual_seed(0)
    spec = EncoderSpec(network=network, options=options, feature_dim=feature_dim, image_size=(16, 16), method="byol")
    return Encoder(spec)


def batch_of(*views, labels=None):
    count = len(views[0])
    return PretrainingBatch(
        views=views, indices=torch.arange(count), labels=labels, generator=torch.Generator().manual_seed(1)
    )


class TestInstanceDiscrimination:
    def features(self, count=4, dim=8):
        return F.normalize(torch.randn(count, dim, generator=torch.Generator().manual_seed(3)))

    def test_the_loss_is_that_of_the_paper_written_out(self):
        torch.manual_seed(1)
        task = InstanceDiscrimination(num_images=20, feature_dim=8, num_negatives=6, temperature=0.2)
        features, own = self.features(), torch.tensor([3, 0, 7, 19])
        negatives = torch.randint(20, (4, 6))
        rows = task.bank[torch.cat([own[:, None], negatives], 1)]
        out = (rows * features[:, None]).sum(2).div(0.2).exp()
        z = out.mean() * 20
        p, c = out / z, 6 / 20
        expected = -((p[:, 0] / (p[:, 0] + c)).log().sum() + (c / (p[:, 1:] + c)).log().sum()) / 4
        torch.testing.assert_close(task.loss(features, own, negatives), expected)
        torch.testing.assert_close(task.z.float(), z)

    def test_z_stays_that_of_the_first_batch(self):
        task = InstanceDiscrimination(num_images=20, feature_dim=8, num_negatives=6)
        assert task.z.isnan()
        task.loss(self.features(), torch.arange(4))
        z = task.z.clone()
        task.loss(self.features(6), torch.arange(6))
        assert torch.equal(task.z, z)

    def test_a_low_temperature_does_not_overflow(self):
        task = InstanceDiscrimination(num_images=20, feature_dim=8, num_negatives=6, temperature=0.005)
        task.bank = self.features(20)
        assert torch.isfinite(task.loss(task.bank[:4], torch.arange(4)))

    def test_momentum_multiplies_the_new_feature(self):
        task = InstanceDiscrimination(num_images=5, feature_dim=8, num_negatives=2, momentum=0.75)
        before, features, indices = task.bank.clone(), self.features(2), torch.tensor([4, 1])
        task.update(features, indices)
        torch.testing.assert_close(task.bank[indices], F.normalize(0.75 * features + 0.25 * before[indices]))
        assert torch.equal(task.bank[[0, 2, 3]], before[[0, 2, 3]])

    def test_without_negatives_it_is_the_softmax_over_all_images(self):
        task = InstanceDiscrimination(num_images=20, feature_dim=8, num_negatives=0, temperature=0.5)
        features, own = self.features(), torch.tensor([3, 0, 7, 19])
        logits = features @ task.bank.T / 0.5
        expected = -(logits.softmax(1)[torch.arange(4), own]).log().mean()
        torch.testing.assert_close(task.loss(features, own), expected)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (
                {"num_negatives": 21},
                "m is 21, but there are only 20 images to draw negatives from; set m to 20 at most",
            ),
            ({"temperature": 0.0}, "temperature must be above 0"),
            ({"momentum": 1.5}, "momentum in \\(0, 1\\]"),
            ({"num_images": 1, "num_negatives": 0}, "at least 2 images"),
        ],
    )
    def test_values_out_of_range(self, values, message):
        with pytest.raises(ConfigError, match=message):
            InstanceDiscrimination(**{"num_images": 20, "feature_dim": 8, "num_negatives": 6, **values})


class TestNearestNeighbors:
    def test_votes_written_out(self):
        bank = F.normalize(torch.randn(9, 4, generator=torch.Generator().manual_seed(0)))
        labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2])
        query = bank[:1]
        similarities, order = (query @ bank.T).squeeze(0).sort(descending=True)
        expected = torch.zeros(3, dtype=torch.float64)
        for similarity, row in zip(similarities[:4], order[:4], strict=True):
            expected[labels[row]] += math.exp(similarity / 0.1)
        votes = knn_scores(query, bank, labels, k=4, temperature=0.1, num_classes=3)
        torch.testing.assert_close(votes[0], expected, rtol=1e-4, atol=0)  # float32 similarities, divided by 0.1

    def test_k_beyond_the_bank(self):
        rows = torch.eye(3)
        with pytest.raises(ConfigError, match="k is 4, but the score has 3 images to choose neighbors from"):
            knn_scores(rows, rows, torch.arange(3), k=4, num_classes=3)

    def test_accuracies(self):
        scores = torch.tensor([[0.1, 0.9, 0.0], [0.5, 0.2, 0.3]])
        labels = torch.tensor([1, 2])
        assert [top_k_accuracy(scores, labels, k) for k in (1, 2, 5)] == [0.5, 1.0, 1.0]


class TestMethods:
    def test_byol_is_zero_where_both_networks_and_views_agree(self):
        method = Byol(encoder(), hidden_dim=8, projection_dim=4)
        method.prediction = torch.nn.Identity()
        images = torch.randn(6, 3, 16, 16)
        assert method.loss(batch_of(images, images)).item() == pytest.approx(0, abs=1e-5)

    def test_byol_moves_its_target_by_a_momentum_that_rises_to_one(self):
        method = Byol(encoder(), hidden_dim=8, projection_dim=4, momentum=0.9)
        target, online = next(method.target_encoder.parameters()), next(method.encoder.parameters())
        start = target.clone()
        with torch.no_grad():
            online.add_(1)
        batch = batch_of(torch.zeros(2, 3, 16, 16), torch.zeros(2, 3, 16, 16))
        method.after_step(batch, progress=0.0)
        torch.testing.assert_close(target - start, torch.full_like(start, 0.1))
        before = target.clone()
        method.after_step(batch, progress=1.0)
        assert torch.equal(target, before)

    def test_the_target_of_byol_is_not_trained(self):
        method = Byol(encoder(), hidden_dim=8, projection_dim=4)
        method.loss(batch_of(torch.randn(4, 3, 16, 16), torch.randn(4, 3, 16, 16))).backward()
        assert all(parameter.grad is not None for parameter in method.encoder.parameters())
        assert all(parameter.grad is None for parameter in method.target_encoder.parameters())

    def test_supervised_learns_a_batch_by_heart(self):
        torch.manual_seed(0)
        method = Supervised(encoder(), num_classes=3)
        batch = batch_of(torch.randn(6, 3, 16, 16), labels=torch.tensor([0, 1, 2, 0, 1, 2]))
        optimizer = torch.optim.SGD(method.parameters(), lr=0.05, momentum=0.9)
        first = method.loss(batch).item()
        for _ in range(30):
            optimizer.zero_grad()
            loss = method.loss(batch)
            loss.backward()
            optimizer.step()
        assert loss.item() < first / 10


class TestEncoder:
    @pytest.mark.parametrize(
        ("network", "options"),
        [
            ("resnet18", SMALL),
            ("resnet34", {"stem": "plain", "width": 0.125}),
            ("resnet50", {"stem": "deep", "width": 0.125}),
            ("resnet101", {"stem": "cifar", "width": 0.125}),
            ("fast-scnn", {"width": 0.25}),
        ],
    )
    @pytest.mark.parametrize("feature_dim", [None, 12])
    def test_a_file_gives_back_the_encoder(self, tmp_path, network, options, feature_dim):
        saved = encoder(network, options, feature_dim).eval()
        spec = saved.save(tmp_path / "encoder.safetensors")
        loaded = load_encoder(tmp_path / "encoder.safetensors")
        images = torch.randn(2, 3, 64, 64)
        features = loaded(images)
        assert torch.equal(features, saved(images))
        assert features.shape == (2, feature_dim or saved.num_channels)
        torch.testing.assert_close(features.norm(dim=1), torch.ones(2))
        assert not loaded.training
        assert loaded.spec == spec

    def test_tensors_have_the_names_of_segmentation_networks(self):
        names = set(create_model("fast-scnn", num_classes=3, width=0.25).state_dict())
        own = encoder("fast-scnn", {"width": 0.25}, 8).tensors()
        assert {name for name in own if name not in names} == {"fc.weight", "fc.bias"}

    def test_something_else_is_refused(self, tmp_path):
        torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pth")
        with pytest.raises(ModelFileError, match="is not an encoder; pass a file that `rapidseg pretrain` wrote"):
            load_encoder(tmp_path / "other.pth")

    @pytest.mark.parametrize(
        ("network", "options", "message"),
        [
            ("resnet18", {"depth": 3}, r"unknown option 'depth' of resnet18.*; known: stem, stem_width, width"),
            ("resnet18", {"stem": "cifr"}, r"stem should be 'plain', 'deep' or 'cifar', not 'cifr' .*mean 'cifar'"),
            ("resnet50", {"stem_width": 8}, "options of resnet50: stem_width should be 32 or 64, not 8"),
            ("resnet18", {"width": 0}, "options of resnet18: width should be greater than 0, not 0"),
            ("resnet18", {"width": 5}, "width should be less than or equal to 4, not 5"),
            ("resnet34", {"width": "abc"}, "width should be a number, not 'abc'"),
            ("resnet34", {"width": True}, "width should be a number, not True"),
            ("fast-scnn", {"width": 0}, "options of fast-scnn: width should be greater than 0, not 0"),
            ("fast-scnn", {"stem": "cifar"}, "unknown option 'stem' of fast-scnn"),
        ],
    )
    def test_options_of_the_network_are_checked(self, network, options, message):
        with pytest.raises(ConfigError, match=message):
            encoder(network, options)


class TestViews:
    def image(self, height=12, width=10, seed=0):
        return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)

    def tensor(self, image):
        return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255

    def test_crops_are_inside_and_cover_the_wanted_share(self):
        sizes = torch.tensor([[30, 50], [200, 100], [7, 300]]).repeat(50, 1)
        crops = draw_crops(sizes, view(scale_range=(0.2, 0.5)), torch.Generator().manual_seed(0))
        top, left, height, width = crops.T
        assert (top >= 0).all()
        assert (left >= 0).all()
        assert (top + height <= sizes[:, 0]).all()
        assert (left + width <= sizes[:, 1]).all()
        share = (height * width / sizes.prod(1))[sizes[:, 0] != 7]
        assert share.min() > 0.19
        assert share.max() < 0.53  # sides are whole pixels
        assert share.std() > 0.05
        # No such crop fits into 7x300: the middle, as high as the image and at most 4/3 as wide as high.
        assert crops[sizes[:, 0] == 7].unique(dim=0).tolist() == [[0, 145, 7, 9]]

    def test_a_crop_is_resized_as_pillow_resizes_it(self):
        image = self.image()
        crops = torch.tensor([[2, 1, 7, 6]])
        ours = crop_and_resize(self.tensor(image), crops, (16, 16))[0].permute(1, 2, 0) * 255
        theirs = Image.fromarray(image[2:9, 1:7]).resize((16, 16), Image.Resampling.BILINEAR)
        assert np.abs(ours.numpy() - np.asarray(theirs, np.float32)).max() <= 1.01  # Pillow rounds twice

    @pytest.mark.parametrize(
        ("step", "enhance"), [(0, ImageEnhance.Brightness), (1, ImageEnhance.Contrast), (2, ImageEnhance.Color)]
    )
    @pytest.mark.parametrize("factor", [0.6, 1.0, 1.4])
    def test_colors_change_as_pillow_changes_them(self, step, enhance, factor):
        image = self.image()
        factors = torch.tensor([1.0, 1.0, 1.0, 0.0]).reshape(4, 1, 1, 1, 1).clone()
        factors[step] = factor
        neither = torch.zeros(1, 1, 1, 1, dtype=torch.bool)
        draws = ColorDraws((step,), factors, gray=neither, mirrored=neither)
        options = view(color_jitter=(0.4, 0.4, 0.4, 0.4), color_jitter_probability=1.0)
        ours = change_colors(self.tensor(image), draws, options)[0].permute(1, 2, 0) * 255
        theirs = np.asarray(enhance(Image.fromarray(image)).enhance(factor), np.float32)
        assert np.abs(ours.numpy() - theirs).max() <= 1.6  # Pillow rounds the gray it blends with, and the result

    @pytest.mark.parametrize("turns", [-0.4, 0.0, 0.25, 0.5])
    def test_hue_turns_as_colorsys_turns_it(self, turns):
        pixels = np.random.default_rng(1).random((50, 3))
        pixels[:4] = [[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 0, 0]]
        images = torch.tensor(pixels.T[None, :, None], dtype=torch.float64)
        ours = shift_hue(images, torch.tensor(turns, dtype=torch.float64))[0, :, 0].T.numpy()
        expected = []
        for red, green, blue in pixels:
            hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
            expected.append(colorsys.hsv_to_rgb((hue + turns) % 1, saturation, value))
        np.testing.assert_allclose(ours, expected, atol=1e-12)

    def test_draws_are_those_of_their_generator_and_follow_the_probabilities(self):
        options = view(color_jitter=(0.4, 0.4, 0.4, 0.1), color_jitter_probability=0.8, gray=0.2, flip=0.5)
        draws = [
            ColorDraws.draw(4000, options, torch.Generator().manual_seed(seed), torch.device("cpu")) for seed in (5, 5)
        ]
        assert torch.equal(draws[0].factors, draws[1].factors)
        factors = draws[0].factors.reshape(4, -1)
        assert (factors[:3] >= 0.6).all()
        assert (factors[:3] <= 1.4).all()
        assert (factors[3].abs() <= 0.1).all()
        assert (factors[0] != 1).double().mean().item() == pytest.approx(0.8, abs=0.03)
        assert draws[0].gray.double().mean().item() == pytest.approx(0.2, abs=0.03)
        assert draws[0].mirrored.double().mean().item() == pytest.approx(0.5, abs=0.03)

    def test_normalized(self):
        options = view(mean=(10.0, 20.0, 30.0), std=(5.0, 2.0, 1.0))
        pixel = torch.tensor([20.0, 24.0, 27.0]).view(1, 3, 1, 1) / 255
        assert normalize(pixel, options).flatten().tolist() == pytest.approx([2, 2, -3], abs=1e-4)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A ResNet-18 as the published instance discrimination code saves it, and its file."""
    whole = encoder("resnet18", {"stem": "cifar"}, 4).eval()
    state = {}
    for name, tensor in whole.tensors().items():
        name = name.replace("stem.0.conv", "extractor.0").replace("stem.0.norm", "extractor.1")
        for number in range(1, 5):
            name = name.replace(f"layer{number}.", f"extractor.{number + 2}.")
        if not name.endswith("num_batches_tracked"):  # older PyTorch stored no counters
            state[f"module.{name}"] = tensor
    path = tmp_path_factory.mktemp("published") / "4_model.pth"
    torch.save({"state_dict": state}, path)
    return whole, path


class TestPublishedEncoder:
    def test_it_is_recognized_and_imported(self, published, tmp_path):
        whole, path = published
        report = rapidseg.import_checkpoint(path, tmp_path / "imported.safetensors")
        assert (report.spec.network, report.spec.feature_dim) == ("resnet18", 4)
        assert report.num_parameters == sum(parameter.numel() for parameter in whole.parameters())
        images = torch.randn(2, 3, 32, 32)
        for file in (path, report.path):
            assert torch.equal(load_encoder(file)(images), whole(images))

    def test_values_that_only_code_could_read_are_named(self, published, tmp_path):
        content = torch.load(published[1], weights_only=True)
        torch.save({**content, "args": argparse.Namespace(lr=0.1)}, tmp_path / "1_model.pth")
        report = rapidseg.import_checkpoint(tmp_path / "1_model.pth", tmp_path / "x.safetensors")
        (note,) = report.notes
        assert note.endswith("skipped what only code could read: argparse.Namespace; the weights do not need it")

    def test_options_of_segmentation_networks_do_not_apply(self, published, tmp_path):
        with pytest.raises(ConfigError, match="is an encoder, to which labels does not apply"):
            rapidseg.import_checkpoint(published[1], tmp_path / "x.safetensors", labels="cityscapes")

    def test_a_backbone_starts_from_it(self, published):
        whole, path = published
        model = create_model("pspnet", num_classes=3, backbone="resnet18", stem="plain", aux_head=False)
        use = load_backbone(model, path)
        assert torch.equal(model.backbone.layer2[0].conv1.weight, whole.trunk.layer2[0].conv1.weight)
        assert not [name for name in use.used if "stem" in name]
        assert set(use.unused.values()) == {"another stem", "linear layer of pretraining"}
