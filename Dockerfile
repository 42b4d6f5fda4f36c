# Headlight in a container; docs/hosting.md says how. `make image` builds it, with Docker or without; each RUN line is a
# command that works in a checkout, too.
FROM debian:12.11-slim

# cpu, or cuda: which build of torch must come out. For the CPU's, name PyTorch's index of CPU wheels:
#   docker build --build-arg PIP_EXTRA_INDEX_URL=… .
ARG TORCH=cpu
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL

# Two arenas: glibc otherwise opens one for each of many short threads, whose freed memory stays with it.
ENV MALLOC_ARENA_MAX=2 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    HEADLIGHT_CACHE=/var/cache/headlight HOME=/var/cache/headlight TMPDIR=/var/cache/headlight \
    STREAMLIT_SERVER_HEADLESS=true STREAMLIT_SERVER_ADDRESS=0.0.0.0 STREAMLIT_SERVER_PORT=7860

# All that is ever written lies here.
RUN install -d -o 1000 -g 1000 /var/cache/headlight
WORKDIR /app
COPY scripts scripts
RUN sh scripts/system.sh
COPY Makefile VERSION requirements.txt requirements-models.txt ./
RUN make dependencies TORCH=$TORCH
COPY . .
ARG COMMIT=
ENV HEADLIGHT_COMMIT=$COMMIT
# Hugging Face runs containers as user 1000, too.
USER 1000
RUN make weights

EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["/app/.venv/bin/python", "scripts/healthy.py"]
# The server itself is process 1, so that SIGTERM reaches it.
CMD ["/app/.venv/bin/python", "-m", "streamlit", "run", "app.py"]
