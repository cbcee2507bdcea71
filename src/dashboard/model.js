export const shown = (view) => JSON.stringify(view, null, 2);
