import numpy as np

from training.text_features import describe_texts

SAFETY = ["应急管理局检查企业安全生产，发现隐患限期整改", "消防大队检查商场消防通道，发现隐患限期整改"]
SHOP = ["村民在直播间卖蜜桔，订单发往全国", "电商园里主播在直播间卖山货，订单发往全国"]


def test_texts_of_like_matter_lie_together() -> None:
    features = describe_texts([*SAFETY, *SHOP])
    assert np.allclose(np.linalg.norm(features, axis=1), 1)
    likeness = features @ features.T
    assert likeness[0, 1] > 0.5 > likeness[0, 2] and likeness[2, 3] > 0.5 > likeness[1, 3]


def test_texts_without_anything_in_common_have_no_features() -> None:
    assert not describe_texts(["天地", "玄黄"]).any()
    assert describe_texts(["天地"]).shape[0] == 1
