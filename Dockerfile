# nfsrpc and tcpdump, from the wheel that `make wheel` has built for the image's platform:
#
#     docker build --tag nfsrpc . && docker run --rm -v "$PWD:/captures:ro" nfsrpc analyze /captures/nfs.pcap
FROM python:3.13-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends tcpdump \
    && rm -rf /var/lib/apt/lists/*
COPY requirements-run.txt dist/*.whl /tmp/dist/
# pip takes the wheel of this platform.
RUN pip install --no-cache-dir --require-hashes --only-binary :all: --requirement /tmp/dist/requirements-run.txt \
    && pip install --no-cache-dir --no-index --no-deps --find-links /tmp/dist nfsrpc \
    && rm -rf /tmp/dist
USER nobody
ENTRYPOINT ["nfsrpc"]
CMD ["--help"]
