/**
 * Go's HTTP/1 server closes the body of a request as it begins to answer (golang/go#40747). The API server's proxy to
 * pods and Services looks once more for the end of a body that it has passed on; where the pod is quick, it finds the
 * body closed, takes that for a failure and cuts the answer. Its HTTP/2 server leaves the body open. So requests with a
 * body go through that proxy by HTTP/2.
 */

/** `Via` (RFC 9110 section 7.6.3) of an answer to such a request that was passed on by HTTP/1 all the same. */
export const BY_HTTP_1 = '1.1 kube-agent-conformance';
