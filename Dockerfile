# The documentation's `docker run` lines work as they are:
#   docker run -d -p 8000:8000 -e S3DATA=multiple -e ENDPOINT=http://localhost \
#     -v $(pwd)/data:/usr/src/app/localData -v $(pwd)/metadata:/usr/src/app/localMetadata \
#     -v $(pwd)/locationConfig.json:/usr/src/app/locationConfig.json \
#     -v $(pwd)/authdata.json:/usr/src/app/conf/authdata.json \
#     -v ~/.aws/credentials:/root/.aws/credentials sallyport
FROM rust:1.95-bookworm AS build
WORKDIR /src
RUN rustup target add wasm32-wasip2
COPY . .
RUN make build plugins

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --user-group --home-dir /nonexistent sallyport
WORKDIR /usr/src/app
COPY --from=build /src/target/release/sallyport /usr/local/bin/sallyport
COPY --from=build /src/target/plugins /usr/src/app/plugins
COPY config.json locationConfig.json ./
COPY conf ./conf
ENV SALLYPORT_PLUGINS=/usr/src/app/plugins
VOLUME ["/usr/src/app/localData", "/usr/src/app/localMetadata"]
EXPOSE 8000 8002
ENTRYPOINT ["/usr/src/app/conf/docker-entrypoint.sh"]
CMD ["serve"]
