"""A translation's next-token metrics in the form of images' metrics, so that the same figures draw both."""

import pandas as pd


def as_calibration(next_token: pd.DataFrame) -> pd.DataFrame:
    """Rows (split, metric, value) as the family `calibration` has them, of rows of `next_token`.

    Metrics at temperature 1, with _scaled at the fitted temperature, and `temperature`, which is that one.
    """
    is_fitted = next_token["is_fitted"].astype(bool)
    plain = next_token[~is_fitted & (next_token["temperature_at"] == 1)]
    scaled = next_token[is_fitted].assign(metric=lambda rows: rows["metric"] + "_scaled")
    fitted = scaled[scaled["metric"] == "ece_scaled"]
    fitted = fitted.assign(metric="temperature", value=fitted["temperature_at"])
    return pd.concat([plain, scaled, fitted], ignore_index=True).drop(columns=["temperature_at", "is_fitted"])
