"""From files to panels: nothing is lost, nothing is made up."""

import pickle

import numpy as np

from foreact.data.dataset.stored import Dataset
from foreact.demo import Demo, simulate_sales


def test_a_panel_holds_what_the_chain_sold(demo: Demo, demo_dataset: Dataset) -> None:
    chain = demo.chain
    for place, store in enumerate(chain.stores):
        parcel = pickle.loads(pickle.dumps(demo_dataset.pack_store(store)))
        panel, sales = parcel.make_panel(), simulate_sales(chain, place)
        order = [chain.items.index(item) for item in panel.items]
        on_sale = sales.on_sale.T[order]
        assert panel.days == chain.days
        assert panel.horizon == 14
        np.testing.assert_array_equal(panel.dates, chain.dates)
        history = on_sale[:, : chain.days]
        np.testing.assert_array_equal(
            panel.units[:, : chain.days][history], sales.units.T[order][:, : chain.days][history]
        )
        assert np.isnan(panel.units[:, chain.days :]).all()
        np.testing.assert_allclose(panel.known["price"][on_sale], sales.price.T[order][on_sale], rtol=1e-6)
        assert np.isnan(panel.known["price"][~on_sale]).all(), "without a row an item is not on sale"
        assert panel.open is not None
        np.testing.assert_array_equal(panel.open.any(axis=0), chain.calendar > 0)
        assert panel.stockout is not None
        np.testing.assert_array_equal(
            panel.stockout[:, : chain.days][history], sales.stockout.T[order][:, : chain.days][history]
        )
        events = [panel.categories["event"][int(code)] for code in panel.known["event"]]
        assert events == [event or "none" for event in chain.events.tolist()]
        assert panel.attributes["department"].tolist() == [chain.departments[index] for index in order]
        assert panel.store_attributes == {"region": sales.region}
