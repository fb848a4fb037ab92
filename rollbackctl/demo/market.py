"""A simulated market with regimes, one of which no model has seen before."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

FEATURES = ("atr_pct", "momentum", "rsi_norm", "spread_bps", "volume_ratio")
SYMBOLS = ("ADAUSDT", "BTCUSDT", "ETHUSDT", "SOLUSDT")
TARGET = "return_bps"
TIME = "time"
_BARS_A_DAY = 24


class Regime(NamedTuple):
    """How the market behaves for a while.

    Attributes:
        trend: Mean of momentum, in standard deviations of a calm market.
        volatility: Scale of momentum, and of the range `atr_pct` (per cent of the price).
        spread_bps: Mean spread, in basis points.
        volume: Median of the traded volume, as a multiple of the usual one.
        edge: Basis points of the next return that one unit of momentum is worth; negative where it turns round.
    """

    trend: float
    volatility: float
    spread_bps: float
    volume: float
    edge: float


USUAL = (
    Regime(trend=0.0, volatility=0.8, spread_bps=2.2, volume=0.9, edge=6.0),
    Regime(trend=0.9, volatility=1.1, spread_bps=2.5, volume=1.3, edge=10.0),
    Regime(trend=-0.8, volatility=1.3, spread_bps=3.0, volume=1.1, edge=8.0),
)
STRESS = Regime(trend=-1.6, volatility=2.6, spread_bps=6.5, volume=2.4, edge=-9.0)
_STAYS = 0.97  # from one hour to the next


class Bar(NamedTuple):
    """One hour of one symbol: what a model sees, and the return of the next hour in basis points."""

    time: datetime
    symbol: str
    features: dict[str, float]
    return_bps: float


def simulate(start: datetime, days: int, *, seed: int, stress_from: datetime | None = None) -> Iterator[Bar]:
    """Simulate a market, hour by hour, each hour for every symbol.

    Args:
        start: The first hour.
        days: How long.
        seed: The same seed gives the same market.
        stress_from: When the regime that nobody has seen before sets in and stays; None: never.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    current = 0
    for hour in range(days * _BARS_A_DAY):
        time = start + timedelta(hours=hour)
        if random.random() > _STAYS:
            current = int(random.integers(len(USUAL)))
        regime = STRESS if stress_from is not None and time >= stress_from else USUAL[current]
        for symbol in SYMBOLS:
            momentum = random.normal(regime.trend, regime.volatility)
            volume = random.lognormal(float(np.log(regime.volume)), 0.3)
            features = {
                "atr_pct": 0.8 * regime.volatility * random.lognormal(0.0, 0.2),
                "momentum": momentum,
                "rsi_norm": float(np.tanh(0.6 * momentum)) + random.normal(0.0, 0.2),
                "spread_bps": regime.spread_bps * random.lognormal(0.0, 0.25),
                "volume_ratio": volume,
            }
            noise = random.normal(0.0, 6.0 * regime.volatility)
            edge = regime.edge * float(np.tanh(momentum)) * min(volume, 3.0)
            yield Bar(
                time, symbol, {name: round(float(features[name]), 6) for name in FEATURES}, round(edge + noise, 4)
            )


def to_csv(bars: Iterator[Bar] | list[Bar]) -> bytes:
    """Return bars as a table: time, symbol, the features and the return that followed."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow((TIME, "symbol", *FEATURES, TARGET))
    for bar in bars:
        values = (bar.features[name] for name in FEATURES)
        table.writerow((bar.time.isoformat(), bar.symbol, *values, bar.return_bps))
    return text.getvalue().encode()
