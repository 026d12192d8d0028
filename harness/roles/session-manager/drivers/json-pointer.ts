/** The value at a JSON Pointer (RFC 6901); undefined where there is none. */
export function lookUp(document: unknown, pointer: string): unknown {
  const keys = pointer.split('/').slice(1);
  return keys.reduce<unknown>((value, key) => {
    const name = key.replaceAll('~1', '/').replaceAll('~0', '~');
    const isContainer = typeof value === 'object' && value !== null && Object.hasOwn(value, name);
    return isContainer ? (value as Record<string, unknown>)[name] : undefined;
  }, document);
}
