# docker build -t surgaug .
# docker run --rm -v "$PWD:/work" surgaug synthesize --masks frames/train --n 100
# With a GPU, on an image that has PyTorch already:
# docker build -t surgaug --build-arg BASE=pytorch/pytorch:TAG-runtime --build-arg TORCH_INDEX= .
# docker run --rm --gpus all --shm-size 2g -v "$PWD:/work" surgaug train --data frames/train
ARG BASE=python:3.12-slim
FROM ${BASE}
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# hadolint ignore=DL3013
RUN if [ -n "$TORCH_INDEX" ]; then pip install --no-cache-dir torch torchvision --index-url "$TORCH_INDEX"; fi
COPY . /src
RUN pip install --no-cache-dir /src && rm -rf /src
WORKDIR /work
ENTRYPOINT ["surgaug"]
