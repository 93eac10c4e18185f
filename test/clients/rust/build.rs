// Generates the client from the contract, without protoc.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let protos = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../proto");
    println!("cargo:rerun-if-changed={protos}");
    let files = protox::compile(["fleetlog/v1/ingest.proto"], [protos])?;
    tonic_prost_build::configure()
        .build_server(false)
        .compile_fds(files)?;
    Ok(())
}
