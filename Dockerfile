# hyperfitting on CPUs:
#   docker build --tag hyperfitting .
#   docker run --rm --volume "$PWD:/work" --user "$(id -u):$(id -g)" hyperfitting demo
FROM python:3.11-slim AS build
WORKDIR /source
COPY . .
# torch comes from its own index in the build without CUDA; all versions are those of constraints.txt.
RUN python -m venv /opt/hyperfitting \
    && /opt/hyperfitting/bin/pip install --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu \
        ".[models,hub,report]"

FROM python:3.11-slim
COPY --from=build /opt/hyperfitting /opt/hyperfitting
RUN useradd --create-home --uid 1000 hyperfit \
    && install --directory --owner hyperfit /work
ENV PATH="/opt/hyperfitting/bin:$PATH" \
    MPLCONFIGDIR=/tmp/matplotlib
USER 1000
WORKDIR /work
ENTRYPOINT ["hyperfit"]
CMD ["--help"]
