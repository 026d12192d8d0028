/**
 * What a request to the API server asks for, as its authorizers see it (Kubernetes, "Authorization", "Request
 * attributes").
 */
export interface RequestAttributes {
  verb: string;
  group: string;
  resource: string;
  subresource?: string;
  namespace?: string;
  name?: string;
}

const VERBS: Record<string, string> = {
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
};

function verbOf(method: string, named: boolean, query: URLSearchParams): string {
  if (method === 'GET' || method === 'HEAD') {
    const watch = query.get('watch');
    if (watch !== null && watch !== 'false' && watch !== '0') {
      return 'watch';
    }
    return named ? 'get' : 'list';
  }
  if (method === 'DELETE') {
    return named ? 'delete' : 'deletecollection';
  }
  return VERBS[method] ?? method.toLowerCase();
}

/**
 * The attributes of a request for a resource; undefined for any other path (`/version`, `/openid/v1/jwks`, discovery).
 *
 * @param path with its query
 */
export function attributesOf(method: string, path: string): RequestAttributes | undefined {
  const { pathname, searchParams } = new URL(path, 'http://api');
  const [, prefix, ...rest] = pathname.split('/');
  const group = prefix === 'apis' ? (rest.shift() ?? '') : '';
  const [, ...segments] = rest;
  if ((prefix !== 'api' && prefix !== 'apis') || segments.length === 0) {
    return undefined;
  }
  // `namespaces/NAME` is the namespace itself, `namespaces/NAME/pods` something in it.
  const namespaced = segments[0] === 'namespaces' && segments.length > 2 && segments[2] !== 'status';
  const namespace = namespaced ? segments[1] : segments[0] === 'namespaces' ? segments[1] : undefined;
  // What comes behind a subresource is for the server behind it, and no authorizer sees it (`pods/proxy`).
  const [resource = '', name, subresource] = namespaced ? segments.slice(2) : segments;
  return {
    verb: verbOf(method, name !== undefined, searchParams),
    group,
    resource,
    ...(subresource === undefined ? {} : { subresource }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
  };
}
