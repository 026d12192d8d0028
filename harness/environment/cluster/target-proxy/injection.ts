import type { IncomingMessage } from 'node:http';
import type { ApiFault } from '../../../rpc/target-access.ts';
import { keepAskedPod } from './asked-pod.ts';
import type { ArmedFaults } from './faults.ts';
import type { EndToEndHeaders } from './headers.ts';
import type { Exchange } from './recorder.ts';

interface PodSpec extends Record<string, unknown> {
  containers?: unknown[];
  initContainers?: unknown[];
}

/** A pod, or an object that has a template of pods. */
interface Created extends Record<string, unknown> {
  spec?: PodSpec & { template?: { spec?: PodSpec } };
}

/** Puts containers before those of a PodSpec, and native sidecars before its init containers, as webhooks do. */
function withContainers(spec: PodSpec, { containers = [], initContainers = [] }: ApiFault): PodSpec {
  return {
    ...spec,
    containers: [...containers, ...(spec.containers ?? [])],
    ...(initContainers.length === 0 ? {} : { initContainers: [...initContainers, ...(spec.initContainers ?? [])] }),
  };
}

/** The object with further containers; as it is, where it has no pod. */
export function injected(object: Created, fault: ApiFault): Created {
  const { spec } = object;
  if (spec?.template?.spec !== undefined) {
    return {
      ...object,
      spec: { ...spec, template: { ...spec.template, spec: withContainers(spec.template.spec, fault) } },
    };
  }
  return spec?.containers === undefined ? object : { ...object, spec: withContainers(spec, fault) };
}

/** A request that names no type is JSON to an API server. */
const JSON_TYPE = /^(application\/json\s*(;|$)|$)/i;

/**
 * The body that is sent in place of a request's own, where containers are to be injected into what it creates;
 * undefined: the request passes as it is. What is no JSON passes, too: nobody can say that it was injected then.
 */
export async function injectedBody(
  faults: ArmedFaults,
  exchange: Exchange,
  request: IncomingMessage,
): Promise<Buffer | undefined> {
  const { asked } = exchange;
  const creates = asked.verb === 'create' && asked.subresource === undefined;
  if (!creates || !JSON_TYPE.test(request.headers['content-type'] ?? '')) {
    return undefined;
  }
  const fault = faults.take(['inject-containers'], asked);
  if (fault === undefined) {
    return undefined;
  }
  exchange.blame(fault);
  keepAskedPod(exchange, request);
  const body: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) {
    body.push(chunk);
  }
  const text = Buffer.concat(body);
  try {
    return Buffer.from(JSON.stringify(injected(JSON.parse(text.toString()) as Created, fault)));
  } catch {
    // The API server is to say what is wrong with it.
    return text;
  }
}

/** The headers of a request whose body is another one. */
export function withLength(headers: EndToEndHeaders, body: Buffer): EndToEndHeaders {
  const { 'content-length': _, 'transfer-encoding': __, ...others } = headers;
  return { ...others, 'content-length': String(body.length) };
}
