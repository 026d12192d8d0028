import type { z } from 'zod';

/** A role as data: what the catalogue, target files and images have to know of it. */
export interface RoleData {
  role: string;
  /** The shape of a target file of this role; its `role` is the name above. */
  targetFile: z.core.$ZodTypeDiscriminable;
  /** The shape of its twins in twins.yaml; their `role` is the name above. */
  twin: z.core.$ZodTypeDiscriminable;
  /** Name of the image of the reference in fixtures/images, where its pods run one. */
  image?: string;
  /**
   * Capabilities that make an implementation one of its role, each in a form of the role: what needs no other binds all
   * of that form.
   */
  capabilitiesOfForms?: readonly string[];
}
