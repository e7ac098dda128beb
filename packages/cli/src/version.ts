/** That of the server, which is too much code to be read for it; a test compares them. */
export const VERSION = "0.1.0";
