declare const brand: unique symbol;

/** A `T` that only the function which makes the brand can produce; erased at run time. */
export type Branded<T, Name extends string> = T & { readonly [brand]: Name };
