"""A client with its test. It is told where the shop is by `chaos-proxy run`, and by RETRIES how often to try again."""

import http.client
import os
import unittest


class Shop:
    """Asks a shop over HTTP. A request that the network broke is made again, at most `retries` times."""

    def __init__(self, address, retries=0):
        self.address = address
        self.retries = retries

    def get(self, path):
        for left in reversed(range(self.retries + 1)):
            try:
                return self.get_once(path)
            except ConnectionError:
                if left == 0:
                    raise

    def get_once(self, path):
        connection = http.client.HTTPConnection(self.address, timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()


class ShopTest(unittest.TestCase):
    def test_every_request_is_answered(self):
        shop = Shop(os.environ["CHAOS_PROXY_SHOP_ADDR"], int(os.environ.get("RETRIES", "0")))
        self.assertEqual([shop.get("/items/%d" % n) for n in range(5)], [200] * 5)


if __name__ == "__main__":
    unittest.main()
