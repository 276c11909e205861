"""Five calls of grpcio to itself, on the port that is given; what tests/data/grpc-pair.pcap.gz has the packets of.

It was made on Debian 12 with grpcio 1.85.3 and tcpdump 4.99.3:

    tcpdump -i lo -s 0 -w grpc-pair.pcap tcp port 2345 & sleep 1; python grpc-pair.py 2345; sleep 1; kill %1
    gzip -9 grpc-pair.pcap
"""

import sys
from concurrent import futures

import grpc


class _Double(grpc.GenericRpcHandler):
    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: request * 2)


def main(port: int, sizes: tuple[int, ...]) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((_Double(),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/t.S/Double")
        for size in sizes:
            assert len(call(b"x" * size)) == 2 * size
    server.stop(None).wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), tuple(map(int, sys.argv[2:])) or (0, 1, 100, 3000, 2))
