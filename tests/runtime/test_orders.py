"""Orders are carried out one after the other, and nothing that goes wrong with one keeps the next from it."""

import threading

from edgewright.runtime.loading.orders import Orders

LONG = 60.0


def test_what_goes_wrong_with_one_order_or_look_is_told_and_the_next_is_carried_out(caplog):
    done, over, looks = [], threading.Event(), []

    def look():
        looks.append(len(done))
        if len(looks) == 2:
            raise ZeroDivisionError("a look")

    def fail():
        done.append("failed")
        raise ZeroDivisionError("an order")

    orders = Orders("test", look)
    orders.put(fail)
    orders.put(lambda: done.append("done"))
    orders.put(over.set)
    orders.start()
    assert over.wait(LONG)
    orders.close()
    assert done == ["failed", "done"] and looks[:3] == [0, 1, 2]
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "an order could not be carried out", "the models could not be looked at",
    ]  # fmt: skip


def test_it_looks_again_when_its_time_has_come_without_an_order():
    looks, enough = [], threading.Event()

    def look():
        looks.append(None)
        if len(looks) == 3:
            enough.set()
            return None
        return 0.001

    orders = Orders("test", look)
    orders.start()
    assert enough.wait(LONG)
    orders.close()
    orders.close()
    assert len(looks) == 3
