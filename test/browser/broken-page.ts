throw new Error("the script is broken");
