/** A product file (`conformance certify --product`) as tests of bundles have it. */
export const productOfVersion = (version: string): string => `apiVersion: conformance-product/v1
vendor: Example Ltd
name: Example Client
version: ${version}
role: token-client
target: target.yaml
`;
