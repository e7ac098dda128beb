/** Of all packages alike; a test compares it with their package.json. */
export const VERSION = "0.1.0";
